// WS_room (server; client; room; text): a client enters a room, leaves it ("/leave"), or says something to all who are in it.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($server : Integer; $client : Integer; $room : Text; $text : Text)

var $status; $from : Object
$from:=New object("ref"; $client)
Case of 
	: ($text="/enter")
		$status:=Websocket client subscribe($from; $room)
		If ($status.success)
			$status:=Websocket client send($from; "you are "+String($status.subscribers)+" in "+$room)
		End if
	: ($text="/leave")
		$status:=Websocket client unsubscribe($from; $room)
	Else 
		$status:=Websocket server publish(New object("ref"; $server); $room; $text)
End case
