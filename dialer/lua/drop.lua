-- ARGV: lead id, why. Returns 1 when the lead was queued and is out now.
local lead = load(ARGV[1])
if not lead or lead.state ~= 'queued' then return 0 end
finish(lead, ARGV[2])
return 1
