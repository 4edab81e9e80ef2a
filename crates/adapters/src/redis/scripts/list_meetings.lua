-- Returns those of the given meetings (refs) that exist.
local rows = {}
for at = 3, #ARGV do
  local row = read_meeting(ARGV[at])
  if row then rows[#rows + 1] = row end
end
return rows
