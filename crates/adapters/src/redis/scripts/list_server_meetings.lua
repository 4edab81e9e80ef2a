-- Returns the meetings of a server: server.
return list_server_meetings(ARGV[3])
