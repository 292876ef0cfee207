# Training in full precision
# gnuplot curves-full-precision.gp                      writes curves-full-precision.svg
# gnuplot -e "format='png'" curves-full-precision.gp   writes curves-full-precision.png
if (!exists('format')) format = 'svg'
if (format eq 'png') {
  set terminal pngcairo noenhanced size 1440,760 font 'sans,11' fontscale 2 linewidth 2 pointscale 2
} else {
  set terminal svg noenhanced dynamic size 720,380 font 'sans-serif,14'
}
set output 'curves-full-precision.'.format
set datafile separator comma
set datafile columnheaders
set border 3
set tics nomirror out
set grid lc rgb '#999999' lw 0.4 dt 3
set key samplen 3 reverse Left
set format '%h'
set xrange [1:10]
set xtics 1
set ylabel 'test top-1 (%)'
set xlabel 'epoch'
unset key
plot \
  'curves.csv' using (strcol('run') eq '5b9244857b79' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb 'black' dt 2 pt 4 ps 0.6 title 'full precision'
set output
