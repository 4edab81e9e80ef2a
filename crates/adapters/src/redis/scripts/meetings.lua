-- The meetings of these refs that exist.
local rows = {}
for at = 3, #ARGV do
  local row = meeting(ARGV[at])
  if row then rows[#rows + 1] = row end
end
return rows
