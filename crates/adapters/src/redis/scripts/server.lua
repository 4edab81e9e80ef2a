-- One server.
return server(ARGV[3])
