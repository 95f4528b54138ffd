// WS_broadcast (server; text {; clients}): to everyone, or to a collection of refs. Says who is slow.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($server : Object; $text : Text; $clients : Collection) -> $slow : Collection

var $status; $to : Object
$to:=New object("ref"; $server.ref)
If (Count parameters>=3)
	$to.clients:=$clients  // [] is nobody
End if
$slow:=New collection
For each ($status; Websocket server send($to; $text))
	If (Not($status.success))
		If ($status.error.name="queue_full")
			$slow.push($status.client)
		End if
	End if
End for each
