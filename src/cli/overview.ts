/** Shown under the list of commands. */
export const OVERVIEW = `
Examples:
  berth demo                                 see it work
  berth run pipeline.yaml --param seed=7     run a pipeline and follow it
  berth logs wine#12 -f                      follow the logs of a run
  berth artifacts get wine/report/summary    download the newest version of an artifact

Where a command needs a server, it takes --server and --token, else BERTH_SERVER and BERTH_TOKEN, else
config.json in BERTH_HOME, else it starts Berth on this machine and uses that. BERTH_HOME is ~/.berth by default.

Exit codes: 0 success · 1 the run failed or was cancelled · 2 wrong usage or an invalid pipeline ·
            3 Berth could not do its job · 75 the run's group is busy, try later · 130 Ctrl-C
`;
