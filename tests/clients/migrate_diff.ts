// Prints what `prisma migrate diff` would do to the database to make it like a schema file:
//   tsx migrate_diff.ts FILE [TABLE THAT IS EXTERNAL]...
// It is Prisma's own engine, as WebAssembly, since the one that the command line runs is a download.
import { readFileSync } from "node:fs";
import { PrismaPg } from "@prisma/adapter-pg";
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from "@prisma/driver-adapter-utils";

const folder = "./node_modules/@prisma/schema-engine-wasm/schema_engine_bg";
const glue = await import(`${folder}.js`);
const wasm = await WebAssembly.instantiate(readFileSync(`${folder}.wasm`), {
  "./schema_engine_bg.js": glue,
});
glue.__wbg_set_wasm(wasm.instance.exports);
(wasm.instance.exports.__wbindgen_start as () => void)();

// The catalogue is full of the type "char" (oid 18), which this adapter alone does not know.
const CHAR = 18;
const TEXT = 25;
const factory = new PrismaPg({ connectionString: process.env.DATABASE_URL });
const connect = factory.connect.bind(factory);
factory.connect = async () => {
  const adapter: any = await connect();
  const { queryRaw, performIO } = adapter;
  adapter.queryRaw = async (query: unknown) => {
    const answer = await performIO.call(adapter, query);
    const chars = answer.fields.map((field: any) => field.dataTypeID === CHAR);
    for (const field of answer.fields) if (field.dataTypeID === CHAR) field.dataTypeID = TEXT;
    const read = Object.create(adapter, { performIO: { value: async () => answer } });
    const { columnTypes, ...rest } = await queryRaw.call(read, query);
    const types = columnTypes.map((type: number, at: number) =>
      chars[at] ? ColumnTypeEnum.Character : type,
    );
    return { ...rest, columnTypes: types };
  };
  return adapter;
};

const [file, ...externalTables] = process.argv.slice(2);
const files = [{ path: file, content: readFileSync(file, "utf8") }];
const engine = await glue.SchemaEngine.new(
  { datamodels: files.map(({ path, content }) => [path, content]) },
  () => {},
  bindMigrationAwareSqlAdapterFactory(factory),
);
const diff = await engine.diff({
  from: { tag: "schemaDatasource", files, configDir: "." },
  to: { tag: "schemaDatamodel", files },
  script: true,
  filters: { externalTables, externalEnums: [] },
});
console.log(diff.stdout);
process.exit(0);
