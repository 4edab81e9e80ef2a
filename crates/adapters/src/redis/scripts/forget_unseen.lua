-- Forgets those of the given meetings (a time, then refs) that no server has confirmed since that
-- time, and returns them; removes what is left of those that have expired.
local rows = {}
for at = 4, #ARGV do
  local ref = ARGV[at]
  local row = read_meeting(ref)
  if not row then
    forget_meeting(ref)
  elseif not to_table(row[3]).detached then
    -- The original has created a meeting of this name since ours was detached.
    call('SREM', DETACHED, ref)
  end
  if row and tonumber(to_table(row[3]).seen_at or 0) < tonumber(ARGV[3]) then
    forget_meeting(ref)
    rows[#rows + 1] = row
  end
end
return rows
