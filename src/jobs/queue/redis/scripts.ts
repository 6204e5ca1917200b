/**
 * What Redis does in one step. All keys begin with the one that a script is given:
 *
 *     entries                   hash of entries by id
 *     keys                      hash of ids by idempotency key
 *     jobs:<state>              ids by the number of their coming
 *     due:<state>               ids by `dueAt` of their entries
 *     alike                     "<fingerprint>:<id>" of those that wait
 *     unplaced                  places that may be missing in the line
 *     placed                    places that are in the line, of those that wait
 *     retried                   how often jobs were queued once more
 *     gone:<id>                 the last of an entry that is no more, for a while
 *     removed                   ids of those whose files are to be removed
 *     changes                   ids by the number of their last change; each is published under this key
 *     deliveries, tries         hashes by delivery
 *     deliveries:due            deliveries by when to try
 *     sequence, change, delivery   the last numbers given
 */

/** Writes what has become of a job and whom to tell, unless the job is not what it was any more. See `Step`. */
export const SAVE = `
  local at, id, before, after = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
  local step = cjson.decode(ARGV[4])
  local call = redis.call
  if (call("HGET", at .. ":entries", id) or "") ~= before then return "changed" end

  local sequence
  if step.from then
    sequence = call("ZSCORE", at .. ":jobs:" .. step.from, id)
    call("ZREM", at .. ":jobs:" .. step.from, id)
    call("ZREM", at .. ":due:" .. step.from, id)
    call("ZREM", at .. ":alike", step.alike)
    if step.from == "queued" then call("SREM", at .. ":placed", step.place) end
  else
    if step.key and call("HEXISTS", at .. ":keys", step.key) == 1 then return "changed" end
    if call("ZCARD", at .. ":jobs:queued") >= step.limit then return "full" end
    if step.key then call("HSET", at .. ":keys", step.key, id) end
    sequence = call("INCR", at .. ":sequence")
  end

  if not step.to then
    call("HDEL", at .. ":entries", id)
    if step.heardMs then
      call("SET", at .. ":gone:" .. id, before, "PX", step.heardMs)
      call("SADD", at .. ":removed", id)
    else
      call("ZREM", at .. ":changes", id)
    end
    if step.key then call("HDEL", at .. ":keys", step.key) end
    return "done"
  end
  call("HSET", at .. ":entries", id, after)
  call("ZADD", at .. ":jobs:" .. step.to, sequence, id)
  call("ZADD", at .. ":due:" .. step.to, step.due, id)
  if step.to == "queued" then
    call("ZADD", at .. ":alike", 0, step.alike)
    call("SADD", at .. ":unplaced", step.place)
  end
  if step.isRetry then call("INCR", at .. ":retried") end
  for _, delivery in ipairs(step.deliveries) do
    local name = string.format("msg_%016d_%s", call("INCR", at .. ":delivery"), delivery.id)
    call("HSET", at .. ":deliveries", name, delivery.text)
    call("ZADD", at .. ":deliveries:due", step.now, name)
  end
  call("ZADD", at .. ":changes", call("INCR", at .. ":change"), id)
  call("PUBLISH", at .. ":changes", id)
  return "done"
`;

/** Gives the number of the last change, and the entries of jobs that have not ended. */
export const SNAPSHOT = `
  local entries = {}
  for _, state in ipairs({ "queued", "running" }) do
    for _, id in ipairs(redis.call("ZRANGE", KEYS[1] .. ":jobs:" .. state, 0, -1)) do
      table.insert(entries, redis.call("HGET", KEYS[1] .. ":entries", id))
    end
  end
  return { redis.call("GET", KEYS[1] .. ":change") or "0", entries }
`;

/** Gives the number of the last change, and the entries that have changed since another. */
export const CHANGES = `
  local at, last, entries = KEYS[1], ARGV[1], {}
  local changes = redis.call("ZRANGEBYSCORE", at .. ":changes", "(" .. last, "+inf", "WITHSCORES")
  for i = 1, #changes, 2 do
    local id = changes[i]
    local entry = redis.call("HGET", at .. ":entries", id) or redis.call("GET", at .. ":gone:" .. id)
    if entry then table.insert(entries, entry) end
    last = changes[i + 1]
  end
  return { last, entries }
`;

/** Gives places that should be in the line and are not. They are looked for where the line has fewer than there should be. */
export const MISSING = `
  local at, line, missing = KEYS[1], ARGV[1], {}
  local there = 0
  for _, list in ipairs({ "wait", "paused", "active" }) do
    there = there + redis.call("LLEN", line .. ":" .. list)
  end
  for _, set in ipairs({ "prioritized", "delayed", "waiting-children" }) do
    there = there + redis.call("ZCARD", line .. ":" .. set)
  end
  if redis.call("SCARD", at .. ":placed") <= there then return missing end
  for _, place in ipairs(redis.call("SMEMBERS", at .. ":placed")) do
    if redis.call("EXISTS", line .. ":" .. place) == 0 then table.insert(missing, place) end
  end
  return missing
`;

/** Gives the ids of jobs that are no more, once, for their files to be removed. */
export const TAKE_REMOVED = `
  local at, removed = KEYS[1], {}
  for _, id in ipairs(redis.call("SPOP", at .. ":removed", 1000)) do
    if redis.call("HEXISTS", at .. ":entries", id) == 0 then
      redis.call("ZREM", at .. ":changes", id)
      table.insert(removed, id)
    end
  end
  return removed
`;

/** Gives deliveries that are due, and how often each was tried, and keeps them from others for a while. */
export const TAKE_DELIVERIES = `
  local at, now, later, limit = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
  local taken = {}
  local due = redis.call("ZRANGEBYSCORE", at .. ":deliveries:due", "-inf", now, "LIMIT", 0, limit)
  for _, name in ipairs(due) do
    redis.call("ZADD", at .. ":deliveries:due", later, name)
    local tries = redis.call("HINCRBY", at .. ":tries", name, 1)
    table.insert(taken, { name, redis.call("HGET", at .. ":deliveries", name), tries - 1 })
  end
  return taken
`;

/** Forgets a delivery. */
export const DROP_DELIVERY = `
  redis.call("HDEL", KEYS[1] .. ":deliveries", ARGV[1])
  redis.call("HDEL", KEYS[1] .. ":tries", ARGV[1])
  redis.call("ZREM", KEYS[1] .. ":deliveries:due", ARGV[1])
`;
