// WS_stop_server (server): its clients see the code and the reason.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($server : Object)

$server.code:=1001
$server.reason:="back at noon"
$server:=Websocket server stop($server)
Websocket server clear($server)
