// WS_ask (url; question) -> answer, "" if none has come in ten seconds: without a method, events wait until they are asked for.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
// It looks, and lets the others run in between: a command that waits would freeze every cooperative process.
#DECLARE($url : Text; $question : Text) -> $answer : Text

var $client; $status; $event : Object
var $events : Collection
var $isOver : Boolean
var $end : Integer
$end:=Milliseconds+10000
$client:=Websocket client(New object("url"; $url; "enableAutomaticReconnection"; False))
$client.wait:=False
$status:=Websocket client start($client)
$isOver:=Not($status.success)
While (Not($isOver) & (Milliseconds<$end))
	$events:=Websocket client messages(New object("ref"; $client.ref; "max"; 10))
	For each ($event; $events)
		Case of 
			: ($event.type="open")
				$status:=Websocket client send($client; $question)
			: ($event.type="message")
				$answer:=$event.context.data
				$isOver:=True
			: ($event.type="error") | ($event.type="close")
				$isOver:=True
		End case
	End for each
	If ($events.length=0)
		DELAY PROCESS(Current process; 2)
	End if
End while
$client.code:=1000
$status:=Websocket client stop($client)
Websocket client clear($client)
