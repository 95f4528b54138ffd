// WS_connect (url; window) -> the client's object, which is not connected yet; Null if the options are wrong. It comes back by itself when
// the connection is lost.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
// Nothing here waits, which would freeze every cooperative process, also the one that asks for events: the url may be that of
// WS_start_server in the same 4D, whose WS_event has to let the client in. The window, Current form window in a form's method, is told by
// WS_client_event what has come of it.
#DECLARE($url : Text; $window : Integer) -> $client : Object

var $status : Object
$client:=Websocket client(New object("name"; "chat"; "url"; $url; "method"; "WS_client_event"; "window"; $window; \
	"pingInterval"; 20; "pingTimeout"; 20; "perMessageDeflate"; New object("enabled"; True)))
If ($client.ref=0)
	CALL FORM($window; "WS_show"; $client.error.message)
	$client:=Null
Else
	$client.timeout:=5
	$client.wait:=False
	$status:=Websocket client start($client)
End if
