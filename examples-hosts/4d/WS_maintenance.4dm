// WS_maintenance (server; begins): lets nobody new in while something is being updated, and has the server's own procedure run.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($server : Object; $begins : Boolean)

var $status : Object
$status:=Websocket server set(New object("ref"; $server.ref; "blocked"; $begins))
$status:=Websocket server set value($server; "maintenance"; Choose($begins; "yes"; "no"))
$status:=Websocket server execute($server; "WS_reload"; JSON Stringify(New object("begins"; $begins)))
