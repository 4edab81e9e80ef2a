-- Returns what replicas share of their certificate, or nothing.
local state = call('GET', prefix .. 'own:certificate')
return state and {state} or {}
