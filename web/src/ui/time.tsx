import { useEffect, useState } from "react";

/** Times in the zone of who looks, short, with the exact one on hover; and durations, which go on while nothing ended. */

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

const TICK_MS = 1_000;

/** Milliseconds since 1970, anew each second while `ticks`. */
export function useNow(ticks = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!ticks) return;
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, [ticks]);
  return now;
}

export function Ago({ at }: { readonly at: string }) {
  const seconds = Math.min(0, (Date.parse(at) - useNow()) / 1000);
  const [unit, size] = UNITS.find(([, each]) => -seconds >= each) ?? ["second", 1];
  return (
    <time dateTime={at} title={EXACT.format(new Date(at))}>
      {RELATIVE.format(Math.round(seconds / size), unit)}
    </time>
  );
}

interface DurationProps {
  readonly from: string | null;
  readonly to: string | null;
}

export function Duration({ from, to }: DurationProps) {
  const now = useNow(from !== null && to === null);
  if (from === null) return <span>–</span>;
  return <span>{durationText((to === null ? now : Date.parse(to)) - Date.parse(from))}</span>;
}

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
