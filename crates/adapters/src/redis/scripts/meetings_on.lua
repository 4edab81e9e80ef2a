-- The meetings of a server.
return meetings_on(ARGV[3])
