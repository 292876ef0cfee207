# Kernels on mobilenetv2's shapes, 2 threads, avx512
# gnuplot roofline-mobilenetv2.gp                      writes roofline-mobilenetv2.svg
# gnuplot -e "format='png'" roofline-mobilenetv2.gp   writes roofline-mobilenetv2.png
if (!exists('format')) format = 'svg'
if (format eq 'png') {
  set terminal pngcairo noenhanced size 1440,1040 font 'sans,11' fontscale 2 linewidth 2 pointscale 2
} else {
  set terminal svg noenhanced dynamic size 720,520 font 'sans-serif,14'
}
set output 'roofline-mobilenetv2.'.format
set datafile separator comma
set datafile columnheaders
set border 3
set tics nomirror out
set grid lc rgb '#999999' lw 0.4 dt 3
set key samplen 3 reverse Left
set format '%h'
if (format eq 'png') { set title 'Kernels on mobilenetv2''s shapes, 2 threads, avx512' }
set logscale xy
set xlabel 'operations for each byte of operands and result (FLOP/byte)'
set ylabel 'operations a second (GFLOP/s)'
set xrange [0.5:1000]
set key above maxcols 2
set grid
set samples 500
roof(x) = x * 55.567357202014136 < 235.48443870252788 ? x * 55.567357202014136 : 235.48443870252788
plot \
  roof(x) with lines lc rgb 'black' lw 1.5 title 'what peak and bandwidth allow', \
  'roofline-mobilenetv2.csv' using (column('series') == 0 ? column('intensity') : NaN):(column('gflops')) with points lc rgb '#0072B2' pt 7 ps 0.9 title 'forward, float', \
  'roofline-mobilenetv2.csv' using (column('series') == 1 ? column('intensity') : NaN):(column('gflops')) with points lc rgb '#D55E00' pt 5 ps 0.9 title 'forward, 2-bit integers', \
  'roofline-mobilenetv2.csv' using (column('series') == 2 ? column('intensity') : NaN):(column('gflops')) with points lc rgb '#009E73' pt 9 ps 0.9 title 'input gradient', \
  'roofline-mobilenetv2.csv' using (column('series') == 3 ? column('intensity') : NaN):(column('gflops')) with points lc rgb '#CC79A7' pt 11 ps 0.9 title 'weight gradient, levels', \
  'roofline-mobilenetv2.csv' using (column('series') == 4 ? column('intensity') : NaN):(column('gflops')) with points lc rgb '#E69F00' pt 13 ps 0.9 title 'weight gradient, levels, 60 % frozen', \
  'roofline-mobilenetv2.csv' using (column('series') == 5 ? column('intensity') : NaN):(column('gflops')) with points lc rgb '#56B4E9' pt 6 ps 0.9 title 'weight gradient, levels, int16'
set output
