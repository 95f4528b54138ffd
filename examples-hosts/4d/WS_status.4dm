// WS_status -> one line for each server and each of its connections.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE() -> $lines : Collection

var $all; $server; $info : Object
var $ref : Integer
$lines:=New collection
$all:=Websocket info
For each ($server; $all.servers)
	$lines.push($server.url+": "+String($server.clients)+" clients, maintenance: "+ \
		Websocket server get value($server; "maintenance"))
	For each ($ref; Websocket server clients($server))
		$info:=Websocket client info(New object("ref"; $ref))
		$lines.push($info.remoteIp+" "+$info.state+", "+String($info.bufferedAmount)+" bytes wait")
	End for each
End for each
