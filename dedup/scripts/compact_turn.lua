#!lua flags=allow-oom
-- The small steps in the life of a shard, each one atomic and safe to repeat. ARGV[1] names it; returns 1 when it changed something.
local op, changed = ARGV[1], 0
local function arg(i) return tonumber(ARGV[i]) end

if op == 'init' then  -- sealed day, F, bits, state: once
  if m then return 0 end
  m = {sealed = arg(2), swept = arg(2), keep = 0, F = arg(3), state = arg(5), hot = {},
       layouts = {{version = 1, bits = arg(4), newest = 0}}}
  keep_meta()
  return 1
end
if not m then return redis.error_reply('NOCANARY a shard of the index is empty or was never initialised') end

if op == 'state' then  -- 0 ready, 1 being rebuilt
  if m.state ~= arg(2) then m.state, changed = arg(2), 1 end

elseif op == 'begin' then  -- day, oldest day kept: from now on claims of that day and before are of a sealed day; then compact_seal
  if arg(2) > m.sealed then m.sealed, m.keep, changed = arg(2), math.max(m.keep, arg(3)), 1 end

elseif op == 'shorten' then  -- oldest day kept: the window ends there until the days have moved on
  if arg(2) > m.keep and arg(2) <= m.sealed + 1 then m.keep, m.swept, changed = arg(2), 0, 1 end

elseif op == 'resize' then  -- bits, version of the layout that was found wanting: new claims go to buckets of another number
  local current = m.layouts[#m.layouts]
  if current.version == arg(3) and current.bits ~= arg(2) then
    local taken, version = {}, 1
    for _, l in ipairs(m.layouts) do taken[l.version] = true end
    while taken[version] do version = version + 1 end
    m.layouts[#m.layouts + 1], changed = {version = version, bits = arg(2), newest = 0}, 1
  end

elseif op == 'finish' then  -- sealed day, oldest day kept: every bucket of every layout has been moved and swept since both were so
  if m.sealed == arg(2) and m.keep == arg(3) and m.swept ~= m.sealed then
    local hot, layouts, used = {}, {}, {}
    for _, h in ipairs(m.hot) do
      if h.day > m.sealed then
        hot[#hot + 1] = h
        used[h.version] = true
      else
        for _, l in ipairs(m.layouts) do
          if l.version == h.version then l.newest = math.max(l.newest, h.day) end
        end
      end
    end
    for i, l in ipairs(m.layouts) do
      if i == #m.layouts or used[l.version] or l.newest >= math.max(m.keep, 1) then layouts[#layouts + 1] = l end
    end
    m.hot, m.layouts, m.swept, changed = hot, layouts, m.sealed, 1
    for _, day in ipairs(call('HKEYS', p .. 'n')) do
      if tonumber(day) < m.keep then call('HDEL', p .. 'n', day) end
    end
  end
end
if changed == 1 then keep_meta() end
return changed
