// WS_ask (url; question) -> answer: without a method, events wait until they are asked for.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($url : Text; $question : Text) -> $answer : Text

var $client; $status; $event : Object
var $events : Collection
$client:=Websocket client(New object("url"; $url; "enableAutomaticReconnection"; False))
$status:=Websocket client start($client)
If ($status.success)
	$status:=Websocket client send($client; $question)
	Repeat 
		// One after the other, each waited for up to 10 seconds.
		$events:=Websocket client messages(New object("ref"; $client.ref; "max"; 1; "timeout"; 10))
		For each ($event; $events)
			If ($event.type="message")
				$answer:=$event.context.data
			End if
		End for each
	Until ($answer#"") | ($events.length=0)
	$client.code:=1000
	$status:=Websocket client stop($client)
End if
Websocket client clear($client)
