/** Stands in for the `from-code-point.js` of commonmark.js, which is for browsers without this function. */

export default (point: number): string => String.fromCodePoint(point);
