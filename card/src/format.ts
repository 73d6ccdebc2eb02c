/** Numbers, money and dates as the host's reader writes them. */

let locale: string | undefined;
const formats = new Map<string, Intl.NumberFormat>();

/** Write as in this language from now on; one that nobody knows changes nothing. */
export function setLocale(wanted: string): void {
  try {
    locale = Intl.getCanonicalLocales(wanted)[0];
    formats.clear();
  } catch {
    // the browser's own stays
  }
}

function format(value: number, options: Intl.NumberFormatOptions): string {
  const key = JSON.stringify(options);
  let found = formats.get(key);
  if (!found) formats.set(key, (found = new Intl.NumberFormat(locale, options)));
  return found.format(value);
}

export const whole = (value: number): string => format(value, { maximumFractionDigits: 0 });

export const short = (value: number): string =>
  value < 10_000 ? whole(value) : format(value, { notation: "compact", maximumFractionDigits: 1 });

const LEAST_USD = 0.0001;

/** US dollars; an amount that there is never looks like none. */
export function money(value: number): string {
  if (value > 0 && value < LEAST_USD) return `<${money(LEAST_USD)}`;
  const digits = value < 1 && Math.round(value / LEAST_USD) % 100 ? 4 : 2;
  return format(value, { style: "currency", currency: "USD", minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export const percent = (share: number): string =>
  share > 0 && share < 0.01 ? `<${percent(0.01)}` : format(share, { style: "percent", maximumFractionDigits: 0 });

export const seconds = (value: number): string =>
  value < 60
    ? `${format(value, { maximumFractionDigits: 1 })} s`
    : `${whole(Math.floor(value / 60))} min ${whole(Math.floor(value % 60))} s`;

/** A day that the ledger counts, which is one in UTC; as it is where it is none. */
export function day(key: string, long = false): string {
  const at = /^\d{4}-\d\d-\d\d$/.test(key) ? Date.parse(`${key}T00:00:00Z`) : NaN;
  if (Number.isNaN(at)) return key;
  const options: Intl.DateTimeFormatOptions = { timeZone: "UTC", day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(locale, long ? { ...options, year: "numeric" } : options).format(at);
}

export const many = (number: number, one: string, several = `${one}s`): string =>
  `${whole(number)} ${number === 1 ? one : several}`;
