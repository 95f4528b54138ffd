// WS_reload (params): what WS_maintenance asks for. Runs between two events of the server.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($params : Object)

If (Not($params.begins))
	LOG EVENT(Into 4D diagnostic log; "WebSocket server open again"; Information message)
End if
