// The node twin of harness.py: the same roles and the same lines on stdin and stdout.
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'

const [, , name, role, json] = process.argv
const given = JSON.parse(json)
const adapter = await import(new URL(`./adapters/${name}.mjs`, import.meta.url))
const say = (line, then) => process.stdout.write(line + '\n', then)
const finish = (result) => say('R ' + JSON.stringify(result), () => process.exit(0))
const GOLDEN = 0.6180339887 // see harness.py
const now = () => Number(process.hrtime.bigint())
const sha = (text) => createHash('sha1').update(text).digest('hex')
const keys = (count) => Array.from({ length: count }, (_, i) => sha(`${given.prefix}:${i}`))

const lines = createInterface({ input: process.stdin }).on('close', () => process.exit(1))
const waitGo = () => new Promise((go) => { lines.once('line', go); say('READY') })

async function produce() {
  const enqueue = await adapter.producer(given.url, given.options)
  const chosen = keys(given.count ?? 0)
  if ('shuffle' in given) {
    const rank = (job) => sha(`${given.shuffle}:${job}`)
    chosen.sort((one, other) => (rank(one) < rank(other) ? -1 : 1))
  }
  const told = {}, stamps = []
  await waitGo()
  const begun = now(), end = begun + (given.seconds ?? 1e9) * 1e9
  let calls = 0
  while (now() < end && (!chosen.length || calls < chosen.length)) {
    const job = chosen[calls] ?? sha(`${given.prefix}:${calls}`)
    calls++
    if (given.gap) stamps.push([job, now()])
    const answer = await enqueue(job, given.keyed).catch((error) => error.code ?? error.name)
    told[answer] = (told[answer] ?? 0) + 1
    if (given.gap) {
      const pause = given.gap * 1000 * (0.6 + 0.8 * ((calls * GOLDEN) % 1))
      await new Promise((resume) => setTimeout(resume, pause))
    }
  }
  finish({ rate: (calls * 1e9) / (now() - begun), told, stamps })
}

async function bulk() {
  const chosen = keys(given.count)
  await waitGo()
  const begun = now()
  await adapter.enqueueMany(given.url, chosen, given.keyed)
  finish({ rate: (chosen.length * 1e9) / (now() - begun) })
}

async function work() {
  let handled = 0, last = 0
  const onJob = (job) => {
    handled++
    if (given.stamp) say(`H ${job} ${now()}`)
  }
  const report = () => { if (handled !== last) say(`C ${(last = handled)}`) }
  if (!given.quiet) setInterval(report, 20)
  await adapter.worker(given.url, onJob, waitGo, given.options)
}

const roles = {
  card: () => finish({ ...adapter.CARD, version: adapter.version() }),
  install: async () => { await adapter.install(given.url); finish({}) },
  produce, bulk, work,
}
await roles[role]()
