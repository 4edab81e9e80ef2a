-- Returns a tenant, or false: id.
local fields = call('HGETALL', prefix .. 'tenant:' .. ARGV[3])
if #fields == 0 then return false end
return { ARGV[3], fields, false }
