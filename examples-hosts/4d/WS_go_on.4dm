// WS_go_on (client): runs in a worker when a slow client has room again (the option "drain").
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($client : Integer)

var $status : Object
$status:=Websocket client send(New object("ref"; $client); "you were slow: ask for what you have missed")
If (Not($status.success))
	// It has gone meanwhile: its ref is not given to anybody else.
	LOG EVENT(Into 4D diagnostic log; $status.error.message; Information message)
End if
