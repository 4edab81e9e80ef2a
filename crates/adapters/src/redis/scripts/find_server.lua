-- Returns a server, or false: id.
return read_server(ARGV[3])
