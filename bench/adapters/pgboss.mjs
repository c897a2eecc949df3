// pg-boss: send, insert, and work in batches. Its keyed queue is one of policy 'exclusive'.
import * as modules from '../modules.mjs'

const { PgBoss } = await modules.load('pg-boss')
const QUEUES = "name in ('plain', 'keyed')"
const AT_ONCE = 5000

export const CARD = {
  name: 'pg-boss',
  key: "singletonKey of an 'exclusive' queue, until the job is done",
  settings: 'batchSize 500, localConcurrency 2, poll 0.5 s, burstWhenBatchFull, LISTEN',
  remaining:
    `select count(*) from pgboss.job where ${QUEUES} and state in ('created', 'retry', 'active')`,
  total: `select count(*) from pgboss.job where ${QUEUES}`,
  single: { loop: true },
  modes: { notify: {} },
}
export const version = () => modules.version('pg-boss')

async function boss(url, options) {
  const started = new PgBoss({
    connectionString: url, max: 1, supervise: false, schedule: false, migrate: false, ...options,
  })
  started.on('error', () => {})
  await started.start()
  return started
}
const job = (key, keyed) => ({ data: { sha: key }, ...(keyed && { singletonKey: key }) })
const queue = (keyed) => (keyed ? 'keyed' : 'plain')

export async function install(url) {
  const started = await boss(url, { migrate: true, max: 2 })
  await started.createQueue('plain', { notify: true })
  await started.createQueue('keyed', { notify: true, policy: 'exclusive' })
  await started.stop({ graceful: false })
}

export async function producer(url) {
  const started = await boss(url)
  return async (key, keyed) => {
    const { data, ...options } = job(key, keyed)
    return (await started.send(queue(keyed), data, options)) ? 'new' : 'duplicate'
  }
}

export async function enqueueMany(url, keys, keyed) {
  const started = await boss(url)
  for (let begin = 0; begin < keys.length; begin += AT_ONCE) {
    const part = keys.slice(begin, begin + AT_ONCE)
    await started.insert(queue(keyed), part.map((key) => job(key, keyed)))
  }
}

export async function worker(url, onJob, waitGo, { keyed = false, loop = false }) {
  const started = await boss(url, { max: 6, useListenNotify: true, supervise: true })
  await waitGo()
  while (loop) { // its worker takes one job per poll where a batch is one
    for (const { id, data } of await started.fetch(queue(keyed))) {
      onJob(data.sha)
      await started.complete(queue(keyed), id)
    }
  }
  await started.work(
    queue(keyed),
    {
      batchSize: 500, localConcurrency: 2,
      pollingIntervalSeconds: 0.5, burstWhenBatchFull: true,
    },
    async (jobs) => { for (const { data } of jobs) onJob(data.sha) },
  )
}
