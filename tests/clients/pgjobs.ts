// The functions of the ledger, called through Prisma: inside $transaction pass its client.
import { Prisma } from "./generated/pgjobs/client.ts";

type Db = Pick<Prisma.TransactionClient, "$queryRaw">;

export type Enqueued = { job_id: bigint; attempt_id: bigint; status: string; created: boolean };
export type Claimed = { job_id: bigint; commit_sha: string; run_no: number; lease_token: string };
export type Completed = { job_id: bigint; status: string; completed_at: Date; replayed: boolean };

export async function enqueue(db: Db, sessionId: string, commitSha: string, labVersion: string) {
  const [job] = await db.$queryRaw<Enqueued[]>`
    select * from pgjobs.enqueue(${sessionId}::uuid, ${commitSha}, lab_version => ${labVersion})`;
  return job;
}

export async function claim(db: Db, worker: string, maxJobs = 1) {
  return db.$queryRaw<Claimed[]>`
    select job_id, commit_sha, run_no, lease_token
    from pgjobs.claim(worker => ${worker}, max_jobs => ${maxJobs}::integer)`;
}

export async function heartbeat(db: Db, run: Claimed, seconds: number) {
  const [lease] = await db.$queryRaw<{ expires_at: Date }[]>`
    select expires_at from pgjobs.heartbeat(
      ${run.job_id}, ${run.lease_token}::uuid, make_interval(secs => ${seconds}::integer)
    ) as expires_at`;
  return lease.expires_at;
}

export async function complete(db: Db, run: Claimed, status: string, summary?: object) {
  const [verdict] = await db.$queryRaw<Completed[]>`
    select * from pgjobs.complete(
      ${run.job_id}, ${run.lease_token}::uuid, ${status}, ${summary ?? null}::jsonb
    )`;
  return verdict;
}

// The SQLSTATE of a refused call, "23V03" say; undefined for what is no answer of the database.
export function sqlstate(error: unknown): string | undefined {
  if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === "P2010") {
    const meta = error.meta as { driverAdapterError: { cause: { originalCode: string } } };
    return meta.driverAdapterError.cause.originalCode;
  }
}
