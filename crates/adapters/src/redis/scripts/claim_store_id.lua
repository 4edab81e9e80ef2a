-- Gives the store this id if it has none; returns the id that it has.
local key = prefix .. 'own:store_id'
record_schema_version()
call('SETNX', key, ARGV[3])
return call('GET', key)
