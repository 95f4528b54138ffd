// WS_start_server (port) -> the server's object: a chat, whose events go to the method WS_event.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($port : Integer) -> $server : Object

var $status : Object
$server:=Websocket server(New object("port"; $port; "path"; "/chat"; "method"; "WS_event"; "worker"; "WS_worker"; \
	"admission"; "ask"; "interval"; "20 s"; "drain"; True; "pingInterval"; 20; "pingTimeout"; 20))
If ($server.ref=0)
	// A wrong option: nothing was made, and the message names it.
	ALERT($server.error.message)
	$server:=Null
Else
	If ($server.ignoredOptions#Null)
		ALERT("Not an option: "+JSON Stringify($server.ignoredOptions))
	End if
	$status:=Websocket server start($server)
	If ($status.success)
		$server.port:=$status.port  // the real one, also when 0 was asked for
	Else
		ALERT($status.message)
		Websocket server clear($server)
		$server:=Null
	End if
End if
