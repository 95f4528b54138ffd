// WS_connect (url) -> the client's object, connected; Null if it is not. It comes back by itself when the connection is lost.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($url : Text) -> $client : Object

var $status : Object
$client:=Websocket client(New object("name"; "chat"; "url"; $url; "method"; "WS_client_event"; "window"; Current form window; \
	"pingInterval"; 20; "pingTimeout"; 20; "perMessageDeflate"; New object("enabled"; True)))
If ($client.ref=0)
	ALERT($client.error.message)
	$client:=Null
Else
	$client.timeout:=5
	$status:=Websocket client start($client)
	If (Not($status.success))
		ALERT($status.errorStr+" (HTTP "+String($status.http_status)+")")
		Websocket client clear($client)
		$client:=Null
	End if
End if
