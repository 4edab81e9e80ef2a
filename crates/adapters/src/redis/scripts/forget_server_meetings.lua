-- Forgets all meetings of a server and returns them: server.
return forget_server_meetings(ARGV[3])
