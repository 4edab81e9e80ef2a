-- Adds a server, as JSON.
return add_server(cjson.decode(ARGV[3])) and 1 or 0
