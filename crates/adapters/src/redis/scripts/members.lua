-- All members of a set or all fields of a hash: the command that lists them, the key.
return call(ARGV[3], prefix .. ARGV[4])
