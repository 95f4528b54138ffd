// WS_watch (server): asks for the events of a server without a method, one process for each such server: CALL WORKER("watch"; "WS_watch"; $server).
// Ends with the server.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
// It looks, and lets the others run in between: a command that waits would freeze every cooperative process.
#DECLARE($server : Object)

var $event : Object
var $events : Collection
var $isOver : Boolean
While (Not($isOver))
	$events:=Websocket server messages(New object("ref"; $server.ref; "max"; 100))
	For each ($event; $events)
		WS_event($event.server; $event.client; $event.type; JSON Stringify($event.context); $event.worker; $event.window; $event.process)
		$isOver:=$isOver | ($event.type="stopped")  // the last one, of a server with an interval
	End for each
	If ($events.length=0)
		DELAY PROCESS(Current process; 2)
	End if
End while
