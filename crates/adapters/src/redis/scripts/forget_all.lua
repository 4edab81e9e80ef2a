-- Forgets all meetings of a server.
return take_all(ARGV[3])
