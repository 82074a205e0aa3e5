import { z } from "zod";
import type { Facet, Facets } from "../../protocol/openlineage.ts";
import { OPENLINEAGE_SCHEMA } from "../../protocol/openlineage.ts";
import type { Dataset, MadeDataset } from "../store/run-datasets.ts";

/** Published versions of the facets of the specification that Berth uses. */
const STANDARD = {
  ParentRunFacet: "1-2-0",
  ErrorMessageRunFacet: "1-0-1",
  NominalTimeRunFacet: "1-0-1",
  ProcessingEngineRunFacet: "1-1-1",
  JobTypeJobFacet: "2-0-4",
  DocumentationJobFacet: "1-1-0",
  DatasetVersionDatasetFacet: "1-0-1",
  DatasetTypeDatasetFacet: "1-0-1",
  StorageDatasetFacet: "1-0-1",
  DatasourceDatasetFacet: "1-0-1",
  OutputStatisticsOutputDatasetFacet: "1-0-2",
  SchemaDatasetFacet: "1-2-0",
  TagsDatasetFacet: "1-0-0",
} as const;

/** Who says it: where jobs and datasets have their names, and the program. */
export interface Producer {
  /** `berth://<installation>/<project>` */
  readonly namespace: string;
  /** A URI of this version of Berth. */
  readonly producer: string;
  readonly version: string;
}

export function standardFacet(
  { producer }: Producer,
  name: keyof typeof STANDARD,
  fields: Readonly<Record<string, unknown>>,
): Facet {
  const schema = `https://openlineage.io/spec/facets/${STANDARD[name]}/${name}.json#/$defs/${name}`;
  return { _producer: producer, _schemaURL: schema, ...fields };
}

/** One of Berth's own: it has no schema but that of all facets of its kind. */
export function ownFacet(
  { producer }: Producer,
  kind: "RunFacet" | "DatasetFacet",
  fields: Readonly<Record<string, unknown>>,
): Facet {
  return { _producer: producer, _schemaURL: `${OPENLINEAGE_SCHEMA}#/$defs/${kind}`, ...fields };
}

/** What a version of an artifact is, whether it was read or made. */
export function datasetFacets(by: Producer, dataset: Dataset): Facets {
  const { version, items, item, digest, kind, size, fileCount, contentType } = dataset;
  return {
    version: standardFacet(by, "DatasetVersionDatasetFacet", { datasetVersion: String(version) }),
    datasetType: standardFacet(by, "DatasetTypeDatasetFacet", { datasetType: "FILE", subType: kind.toUpperCase() }),
    dataSource: standardFacet(by, "DatasourceDatasetFacet", { name: by.namespace, uri: by.namespace }),
    storage: standardFacet(by, "StorageDatasetFacet", { storageLayer: "berth", ...formatOf(dataset) }),
    berth_artifact: ownFacet(by, "DatasetFacet", {
      ...{ items, ...(item === null || item === "" ? {} : { item }), ...(digest === null ? {} : { sha256: digest }) },
      ...{ size, fileCount, contentType },
    }),
  };
}

/** In the words of the specification, where it has one. */
function formatOf({ fileName, contentType, kind }: Dataset): { readonly fileFormat?: string } {
  if (kind === "folder") return {};
  const extension = /\.([a-z0-9]+)$/.exec(fileName.toLowerCase())?.[1] ?? "";
  if (["parquet", "orc", "avro", "json", "csv", "xml"].includes(extension)) return { fileFormat: extension };
  const type = contentType.split(";")[0]!;
  if (type === "text/csv") return { fileFormat: "csv" };
  if (type === "application/json") return { fileFormat: "json" };
  if (type === "application/xml" || type === "text/xml") return { fileFormat: "xml" };
  return type.startsWith("text/") ? { fileFormat: "text" } : {};
}

const Columns = z.looseObject({ columns: z.array(z.looseObject({ name: z.string(), type: z.string().optional() })) });
const Rows = z.looseObject({ rows: z.int().nonnegative() });

/** What the step said of an output: columns as the SDKs write them; other words of its own as they are. */
export function saidFacets(by: Producer, { schema, tags }: Pick<MadeDataset, "schema" | "tags">): Facets {
  const table = Columns.safeParse(schema);
  const fields = table.success
    ? table.data.columns.map(({ name, type }) => (type === undefined ? { name } : { name, type }))
    : null;
  const list = Object.entries(tags).map(([key, value]) => ({ key, value, source: "USER" }));
  return {
    ...(fields === null ? {} : { schema: standardFacet(by, "SchemaDatasetFacet", { fields }) }),
    ...(list.length === 0 ? {} : { tags: standardFacet(by, "TagsDatasetFacet", { tags: list }) }),
    ...(fields !== null || schema === null ? {} : { berth_schema: ownFacet(by, "DatasetFacet", { schema }) }),
  };
}

/** Bytes, files, and rows where the step said how many. */
export function statisticsFacet(by: Producer, { size, fileCount, schema }: MadeDataset): Facets {
  const counted = Rows.safeParse(schema);
  const rows = counted.success ? { rowCount: counted.data.rows } : {};
  return { outputStatistics: standardFacet(by, "OutputStatisticsOutputDatasetFacet", { size, fileCount, ...rows }) };
}
