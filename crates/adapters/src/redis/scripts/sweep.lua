-- Of these refs, forgets those that no server has confirmed since then, and what is left of those
-- that expired.
local rows = {}
for at = 4, #ARGV do
  local ref = ARGV[at]
  local row = meeting(ref)
  if not row then
    forget(ref)
  elseif not table_of(row[3]).detached then
    -- The original has one of that name by now.
    call('SREM', DETACHED, ref)
  end
  if row and tonumber(table_of(row[3]).seen_at or 0) < tonumber(ARGV[3]) then
    forget(ref)
    rows[#rows + 1] = row
  end
end
return rows
