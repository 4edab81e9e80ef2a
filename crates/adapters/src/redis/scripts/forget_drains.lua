-- Forgets planned drains that ended before this time, and of the others that are over all but the last ones, of this number.
local key = prefix .. 'own:planned_drains'
local over = {}
for _, stored in ipairs(call('HVALS', key)) do
  local entry = cjson.decode(stored)
  if entry.ended_at ~= '' then
    if tonumber(entry.ended_at) < tonumber(ARGV[3]) then
      call('HDEL', key, entry.id)
    else
      over[#over + 1] = { at = tonumber(entry.ended_at), id = entry.id }
    end
  end
end
table.sort(over, function(a, b)
  if a.at ~= b.at then return a.at > b.at end
  return a.id > b.id
end)
for place = tonumber(ARGV[4]) + 1, #over do call('HDEL', key, over[place].id) end
return 1
