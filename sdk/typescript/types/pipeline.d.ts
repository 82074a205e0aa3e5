import type { NpyArray } from "./index.js";
import type { PipelineFile } from "./pipeline-file.js";

/** One step, with all that the pipeline file may hold of it. */
export type StepSpec = PipelineFile["steps"][string];
type FullOutput = Exclude<Exclude<StepSpec["outputs"], undefined | readonly string[]>[string], string>;
export type ArtifactType = NonNullable<FullOutput["type"]>;
type ParamSpec = Exclude<NonNullable<PipelineFile["params"]>[string], Scalar>;
type Scalar = string | number | boolean;

/** Only for the types: nothing of these names is there. */
declare const VALUE: unique symbol;
declare const ITEM: unique symbol;

/** A parameter of the run. In a text it is its template: `` `--seed=${params.seed}` ``. */
export interface Param<out Value extends Scalar = Scalar> {
  readonly [VALUE]: Value;
  readonly name: string;
  toString(): string;
}

/** An output of a step; `Value` is what a function gets that reads it. */
export interface Output<out Value = unknown> {
  readonly [VALUE]: Value;
  toString(): string;
}

/** An output of a matrix or batch step: by itself the path of a folder with all of them; `gather` joins them. */
export interface ManyOutputs<out Item = unknown> extends Output<string> {
  readonly [ITEM]: Item;
}

/** A step that was added. One with a single output stands for it. */
export interface Step<Outputs extends object = Record<string, Output>> {
  readonly name: string;
  readonly outputs: Outputs;
  /** For conditions: `` when: `${train.state} == "failed"` ``. */
  readonly state: string;
}

/** Values of which each makes a run of the step. */
export interface Matrix<out Value extends Scalar = Scalar> {
  readonly [VALUE]: Value;
  readonly values: readonly Value[];
}
export function matrix<const Value extends Scalar>(values: readonly Value[]): Matrix<Value>;

type BatchSpec = NonNullable<StepSpec["batch"]>;

/** An output that is split; `Value` is what a part of it is. */
export interface Each<out Value = unknown> {
  readonly [VALUE]: Value;
  readonly over: unknown;
}
/** Splits an output, and runs the step once for each part. Handed over as `batch`. */
export function each<Value>(over: Output<Value>, options?: Omit<BatchSpec, "over">): Each<Value>;

/** Joins the outputs of a matrix or batch step: to one CSV, to all lines, or to a list with the value of each. */
export function gather<Item>(outputs: ManyOutputs<Item>, how: "json"): Output<Item[]>;
export function gather(outputs: ManyOutputs, how: "csv"): Output<Record<string, string>[]>;
export function gather(outputs: ManyOutputs, how: "lines" | "folder"): Output<string>;

interface ParamOptions<Value> {
  readonly default?: Value;
  readonly required?: boolean;
  readonly description?: string;
  readonly choices?: readonly Value[];
}
interface TypedParam<Type extends string, Value> extends ParamOptions<Value> {
  readonly type: Type;
}

/** Parameters with more than a default: `param.integer({ default: 7, description: "…" })`. */
export const param: {
  string<const Value extends string = string>(options?: ParamOptions<Value>): TypedParam<"string", Value>;
  integer(options?: ParamOptions<number>): TypedParam<"integer", number>;
  number(options?: ParamOptions<number>): TypedParam<"number", number>;
  boolean(options?: ParamOptions<boolean>): TypedParam<"boolean", boolean>;
};

type Widened<Value> = Value extends string ? string : Value extends number ? number : boolean;
type ParamValue<Spec> = Spec extends Scalar
  ? Widened<Spec>
  : Spec extends { readonly choices?: readonly (infer Choice extends Scalar)[]; readonly type: "string" }
    ? Choice
    : Spec extends { readonly type: "integer" | "number" }
      ? number
      : Spec extends { readonly type: "boolean" }
        ? boolean
        : Spec extends { readonly default: infer Default }
          ? Widened<Default>
          : string;

type Texts = Readonly<Record<string, Scalar | Param>>;

/** The keys of the pipeline file, but for its name and steps. */
export interface PipelineOptions extends Omit<PipelineFile, "name" | "params" | "steps" | "env"> {
  readonly env?: Texts;
}

type ParamsOf<Params> = { readonly [Name in keyof Params]: Param<ParamValue<Params[Name]>> };

/** A pipeline that is written as a program: the default export of a module that `berth compile` and `berth run` take. */
export interface Pipeline {
  readonly name: string;
}

export function pipeline<
  const Params extends Readonly<Record<string, Scalar | ParamSpec>> = Readonly<Record<never, never>>,
>(
  name: string,
  options: PipelineOptions & { readonly params?: Params },
  build: (given: { readonly params: ParamsOf<Params> }) => void,
): Pipeline;

/** What may stand for an argument of a function, before there is a run. */
type Source<Value> =
  | Output<Value>
  | Param<Extract<Value, Scalar>>
  | Matrix<Extract<Value, Scalar>>
  | Each<Value>
  | Extract<Value, Scalar | readonly Scalar[]>
  | (undefined extends Value ? undefined : never);
type Sources<Given> = { readonly [Name in keyof Given]: Source<Given[Name]> };
/** What is not among the keys that are known is a mistake. */
type NoOthers<Written, Known> = { readonly [Name in Exclude<keyof Written, keyof Known>]: never };

type Reference = Output | Step | string;
type InputSpec = Exclude<NonNullable<StepSpec["inputs"]>[string], string>;

/** What the pipeline file may hold of a step, with steps and outputs in the place of their names. */
interface StepKeys extends Omit<StepSpec, "inputs" | "needs" | "batch" | "env" | "matrix" | "args"> {
  readonly needs?: readonly Reference[];
  readonly inputs?: Readonly<Record<string, Reference | (Omit<InputSpec, "from"> & { readonly from: Reference })>>;
  readonly batch?: Each | (Omit<BatchSpec, "over"> & { readonly over: Reference });
  readonly matrix?: Readonly<Record<string, readonly Scalar[] | Matrix>>;
  readonly args?: Readonly<Record<string, Scalar | Param | readonly (Scalar | Param)[]>>;
  readonly env?: Texts;
}

/** What is to be said of a function's step beside what the function gets. */
export interface StepOptions
  extends Omit<StepKeys, "run" | "command" | "python" | "typescript" | "matrix" | "batch" | "args"> {
  /** Default: the name of the function. */
  readonly name?: string;
}

type TypeByEnding<Path extends string> = Path extends `${string}/`
  ? "folder"
  : Path extends `${string}.json`
    ? "json"
    : Path extends `${string}.csv`
      ? "csv"
      : Path extends `${string}.txt`
        ? "text"
        : Path extends `${string}.parquet`
          ? "parquet"
          : Path extends `${string}.npy`
            ? "npy"
            : "file";
type TypeOf<Spec, Default extends string> = Spec extends string
  ? TypeByEnding<Spec>
  : Spec extends { readonly type: infer Type extends string }
    ? Type
    : Spec extends { readonly path: infer Path extends string }
      ? TypeByEnding<Path>
      : Default;

/** What a function gets that reads an output of this type, of which the value returned was `Returned`. */
type Received<Type, Returned> = Type extends "text" | "file" | "folder"
  ? string
  : Type extends "lines"
    ? string[]
    : Type extends "bytes"
      ? Uint8Array
      : Type extends "csv"
        ? Returned extends readonly (infer Row extends object)[]
          ? { [Name in keyof Row]: string }[]
          : Record<string, string>[]
        : Type extends "npy"
          ? NpyArray
          : Type extends "pickle" | "npz"
            ? never
            : Returned;

type IsSingle<Key, All = Key> = [Key] extends [never]
  ? false
  : Key extends unknown
    ? [All] extends [Key]
      ? true
      : false
    : false;

type Wrap<Value, Many> = Many extends true ? ManyOutputs<Value> : Output<Value>;

/** Of a function without declared outputs it is `result`; else the declared ones. */
type FunctionOutputs<Options, Returned, Many> = Options extends { readonly outputs: infer Specs }
  ? Specs extends readonly unknown[]
    ? Readonly<Record<string, Wrap<any, Many>>>
    : {
        readonly [Name in keyof Specs]: Wrap<
          Received<
            TypeOf<Specs[Name], "json">,
            IsSingle<keyof Specs> extends true ? Returned : Name extends keyof Returned ? Returned[Name] : never
          >,
          Many
        >;
      }
  : { readonly result: Wrap<Returned, Many> };

type NamedOutputs<Spec, Many> = Spec extends { readonly outputs: infer Specs }
  ? Specs extends readonly unknown[]
    ? Readonly<Record<string, Wrap<any, Many>>>
    : { readonly [Name in keyof Specs]: Wrap<Received<TypeOf<Specs[Name], "file">, any>, Many> }
  : Readonly<Record<never, never>>;

/** A step with one output stands for it. */
type StepOf<Outputs extends object> = Step<Outputs> &
  (IsSingle<keyof Outputs> extends true ? Outputs[keyof Outputs] : unknown);

type IsMany<Given> = Extract<Given[keyof Given], Matrix | Each> extends never ? false : true;
type IsManySpec<Spec> = Spec extends { readonly batch: unknown } | { readonly matrix: unknown } ? true : false;

/** Adds a step of any kind, with the keys of the pipeline file: a shell script, a command, a Python function. */
export function step<const Spec extends StepKeys>(
  name: string,
  spec: Spec & NoOthers<Spec, StepKeys>,
): StepOf<NamedOutputs<Spec, IsManySpec<Spec>>>;
/** Adds a step that is a function without arguments. */
export function step<Returned, const Options extends StepOptions = Readonly<Record<never, never>>>(
  called: () => Returned,
  given?: Readonly<Record<string, never>>,
  options?: Options & NoOthers<Options, StepOptions>,
): StepOf<FunctionOutputs<Options, Awaited<Returned>, false>>;
/** Adds a step that is a function: what it gets, and what else is to be said of it. */
export function step<
  Given extends object,
  Returned,
  const From extends Sources<Given>,
  const Options extends StepOptions = Readonly<Record<never, never>>,
>(
  called: (given: Given) => Returned,
  given: From & NoOthers<From, Given>,
  options?: Options & NoOthers<Options, StepOptions>,
): StepOf<FunctionOutputs<Options, Awaited<Returned>, IsMany<From>>>;
