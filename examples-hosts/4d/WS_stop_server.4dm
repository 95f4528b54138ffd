// WS_stop_server (server): its clients see the code and the reason. WS_event lets it go once it has stopped.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
// It does not wait until the clients have answered, which would freeze every cooperative process.
#DECLARE($server : Object)

$server.code:=1001
$server.reason:="back at noon"
$server.wait:=False
$server:=Websocket server stop($server)
