-- Returns all tenants.
local rows = {}
for _, id in ipairs(call('SMEMBERS', prefix .. 'tenants')) do
  local fields = call('HGETALL', prefix .. 'tenant:' .. id)
  if #fields > 0 then
    rows[#rows + 1] = { id, fields, call('ZSCORE', own_key('order', 'tenants'), id) }
  end
end
return rows
