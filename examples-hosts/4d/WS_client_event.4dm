// WS_client_event: what happens at our own client; the form shows it (server is 0 here).
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($server : Integer; $client : Integer; $type : Text; $context : Text; $worker : Text; $window : Integer; $process : Integer)

var $event : Object
$event:=JSON Parse($context)
Case of 
	: ($type="open")
		CALL FORM($window; "WS_show"; "connected")
	: ($type="message")
		CALL FORM($window; "WS_show"; $event.data)
	: ($type="close")
		CALL FORM($window; "WS_show"; "closed: "+String($event.code)+" "+$event.reason)
	: ($type="error") & ($event.wait_time=0)
		// Its first attempt failed: it is not tried again, and its name is free once it is let go.
		CALL FORM($window; "WS_show"; "not connected: "+$event.reason)
		Websocket client clear(New object("ref"; $client))
	: ($type="error")
		CALL FORM($window; "WS_show"; "not connected: "+$event.reason+", again in "+String($event.wait_time)+" ms")
End case
