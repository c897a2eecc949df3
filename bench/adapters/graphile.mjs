// graphile-worker: makeWorkerUtils to add, run() with the preset of its page about performance.
import * as modules from '../modules.mjs'

const { makeWorkerUtils, run, Logger } = await modules.load('graphile-worker')
const { Pool } = (await modules.load('pg')).default
const logger = new Logger(() => () => {})
const AT_ONCE = 5000

export const CARD = {
  name: 'graphile-worker',
  key: 'jobKey, until the job is done; a later call replaces',
  settings: '24 jobs at once, localQueue 500, batched completion, LISTEN',
  remaining: 'select count(*) from graphile_worker._private_jobs',
  total: 'select count(*) from graphile_worker._private_jobs',
  single: { concurrency: 1, queue: -1 },
  modes: { notify: {} },
}
export const version = () => modules.version('graphile-worker')

const utils = (url) =>
  makeWorkerUtils({ pgPool: new Pool({ connectionString: url, max: 1 }), logger })

export async function install(url) {
  const connected = await utils(url)
  await connected.migrate()
}

export async function producer(url) {
  const connected = await utils(url)
  return async (key, keyed) => {
    const job = await connected.addJob('bench', { sha: key }, keyed ? { jobKey: key } : {})
    return job.revision > 0 ? 'duplicate' : 'new'
  }
}

export async function enqueueMany(url, keys, keyed) {
  const connected = await utils(url)
  for (let begin = 0; begin < keys.length; begin += AT_ONCE) {
    await connected.addJobs(keys.slice(begin, begin + AT_ONCE).map((key) => (
      { identifier: 'bench', payload: { sha: key }, ...(keyed && { jobKey: key }) }
    )))
  }
}

export async function worker(url, onJob, waitGo, { concurrency = 24, queue = 500 }) {
  const pgPool = new Pool({ connectionString: url, max: concurrency + 2 })
  await pgPool.query('select 1')
  await waitGo()
  const delays = queue > 0 ? { completeJobBatchDelay: 0, failJobBatchDelay: 0 } : {}
  await run({
    pgPool, logger, noHandleSignals: true,
    taskList: { bench: async ({ sha }) => onJob(sha) },
    preset: { worker: { concurrentJobs: concurrency, localQueue: { size: queue }, ...delays } },
  })
}
