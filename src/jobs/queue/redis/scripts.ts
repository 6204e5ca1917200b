/**
 * What Redis does in one step. BullMQ's keys begin with `{mdm}:jobs`; all of ours with the one that a script is given:
 *
 *     records                   hash of records by id
 *     pending                   hash of notes by BullMQ's id: its job has yet to follow the record, see `Note`
 *     keys                      hash of ids by idempotency key
 *     state:<state>             ids by the number of their coming
 *     due:<state>               ids by `dueAt` of their records
 *     alike                     "<fingerprint>:<id>" of those that wait
 *     retried                   how often jobs were queued once more
 *     gone:<id>                 the last of a record that is no more, for a while
 *     removed                   ids of those whose files are to be removed
 *     changes                   ids by the number of their last change; each is published under this key
 *     deliveries, tries         hashes by delivery
 *     deliveries:due            deliveries by when to try
 *     sequence, change, delivery   the last numbers given
 */

/** Writes what has become of a job, the webhooks that tell of it and the note, unless the job is not what it was. See `Step`. */
export const SAVE = `
  local at, id, before, after = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
  local step = cjson.decode(ARGV[4])
  local call = redis.call
  if (call("HGET", at .. ":records", id) or "") ~= before then return "changed" end

  local sequence
  if step.from then
    sequence = call("ZSCORE", at .. ":state:" .. step.from, id)
    call("ZREM", at .. ":state:" .. step.from, id)
    call("ZREM", at .. ":due:" .. step.from, id)
    call("ZREM", at .. ":alike", step.alike)
  else
    if step.key and call("HEXISTS", at .. ":keys", step.key) == 1 then return "changed" end
    if call("ZCARD", at .. ":state:queued") >= step.limit then return "full" end
    if step.key then call("HSET", at .. ":keys", step.key, id) end
    sequence = call("INCR", at .. ":sequence")
  end
  if step.note == "" then
    call("HDEL", at .. ":pending", step.bullId)
  elseif step.note then
    call("HSET", at .. ":pending", step.bullId, step.note)
  end

  if not step.to then
    call("HDEL", at .. ":records", id)
    if step.heardMs then
      call("SET", at .. ":gone:" .. id, before, "PX", step.heardMs)
      call("SADD", at .. ":removed", id)
    else
      call("ZREM", at .. ":changes", id)
    end
    if step.key then call("HDEL", at .. ":keys", step.key) end
    return "done"
  end
  call("HSET", at .. ":records", id, after)
  call("ZADD", at .. ":state:" .. step.to, sequence, id)
  call("ZADD", at .. ":due:" .. step.to, step.due, id)
  if step.to == "queued" then call("ZADD", at .. ":alike", 0, step.alike) end
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

/** Strikes out a note, unless there is another one by now. */
export const STRIKE = `
  local pending, bullId, note = KEYS[1] .. ":pending", ARGV[1], ARGV[2]
  if redis.call("HGET", pending, bullId) == note then redis.call("HDEL", pending, bullId) end
`;

/** Gives the number of the last change, and the records of jobs that have not ended. */
export const SNAPSHOT = `
  local records = {}
  for _, state in ipairs({ "queued", "running" }) do
    for _, id in ipairs(redis.call("ZRANGE", KEYS[1] .. ":state:" .. state, 0, -1)) do
      table.insert(records, redis.call("HGET", KEYS[1] .. ":records", id))
    end
  end
  return { redis.call("GET", KEYS[1] .. ":change") or "0", records }
`;

/** Gives the number of the last change, and the records that have changed since another. */
export const CHANGES = `
  local at, last, records = KEYS[1], ARGV[1], {}
  local changes = redis.call("ZRANGEBYSCORE", at .. ":changes", "(" .. last, "+inf", "WITHSCORES")
  for i = 1, #changes, 2 do
    local id = changes[i]
    local record = redis.call("HGET", at .. ":records", id) or redis.call("GET", at .. ":gone:" .. id)
    if record then table.insert(records, record) end
    last = changes[i + 1]
  end
  return { last, records }
`;

/** Gives the ids of jobs that are no more, once, for their files to be removed. */
export const TAKE_REMOVED = `
  local at, removed = KEYS[1], {}
  for _, id in ipairs(redis.call("SPOP", at .. ":removed", 1000)) do
    if redis.call("HEXISTS", at .. ":records", id) == 0 then
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
