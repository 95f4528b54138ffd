// WS_event: what happens at the server of WS_start_server. The plugin runs it in the process $websocket_event_queue, one event after
// the other, so it may do anything but wait: for the user, or in a command that waits for the network.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($server : Integer; $client : Integer; $type : Text; $context : Text; $worker : Text; $window : Integer; $process : Integer)

var $event; $from; $all; $status : Object
$event:=JSON Parse($context)
$from:=New object("ref"; $client)
$all:=New object("ref"; $server)
Case of 
	: ($type="request")
		// Asked before the client is let in: answer now or later, here or in any process.
		If (($event.cookies.session#Null) | ($event.remoteIp="127.0.0.1"))
			$status:=Websocket client accept($from)
		Else
			$from.status:=401
			$from.body:="sign in first"
			$status:=Websocket client reject($from)
		End if
	: ($type="open")
		$status:=Websocket client set value($from; "since"; String(Current date; ISO date; Current time))
		$status:=Websocket client send($from; "Welcome!")
	: ($type="message")
		If ($event.binary)
			WS_save_blob($client; $event.data)
		Else
			WS_broadcast($all; $event.data)
		End if
	: ($type="close")
		WS_broadcast($all; "somebody has left: "+String($event.code)+" "+$event.reason)
	: ($type="drain")
		CALL WORKER($worker; "WS_go_on"; $client)
	: ($type="service")
		WS_broadcast($all; String(Websocket server clients($all).length)+" are here")
	: ($type="stopped")
		// The last event of WS_start_server's server, behind every "close".
		Websocket server clear($all)
	: ($type="execute")
		EXECUTE METHOD($event.procedure; *; $event.params)
	: ($type="error")
		LOG EVENT(Into 4D diagnostic log; "WebSocket: "+$event.reason; Error message)
End case
