-- Adds a server, given as JSON. Returns 0 if its id exists.
return add_server(cjson.decode(ARGV[3])) and 1 or 0
