-- The mark that is there, or that one from now on.
local key = prefix .. 'own:mark'
call('SETNX', key, ARGV[3])
return call('GET', key)
