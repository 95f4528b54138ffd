// WS_start_server (port) -> the server's object: a chat, whose events go to the method WS_event.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
// Nothing here waits, for the network or for the user: it may be called anywhere, also at the start of the database.
#DECLARE($port : Integer) -> $server : Object

var $status : Object
$server:=Websocket server(New object("port"; $port; "path"; "/chat"; "method"; "WS_event"; "worker"; "WS_worker"; \
	"admission"; "ask"; "interval"; "20 s"; "drain"; True; "pingInterval"; 20; "pingTimeout"; 20))
If ($server.ref=0)
	// A wrong option: nothing was made, and the message names it.
	LOG EVENT(Into 4D diagnostic log; $server.error.message; Error message)
	$server:=Null
Else
	If ($server.ignoredOptions#Null)
		LOG EVENT(Into 4D diagnostic log; "Not an option: "+JSON Stringify($server.ignoredOptions); Warning message)
	End if
	$status:=Websocket server start($server)
	If ($status.success)
		$server.port:=$status.port  // the real one, also when 0 was asked for
	Else
		LOG EVENT(Into 4D diagnostic log; $status.message; Error message)
		Websocket server clear($server)
		$server:=Null
	End if
End if
