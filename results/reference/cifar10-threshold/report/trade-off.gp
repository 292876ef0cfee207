# Accuracy against weight updates eliminated
# gnuplot trade-off.gp                      writes trade-off.svg
# gnuplot -e "format='png'" trade-off.gp   writes trade-off.png
if (!exists('format')) format = 'svg'
if (format eq 'png') {
  set terminal pngcairo noenhanced size 1440,916 font 'sans,11' fontscale 2 linewidth 2 pointscale 2
} else {
  set terminal svg noenhanced dynamic size 720,458 font 'sans-serif,14'
}
set output 'trade-off.'.format
set datafile separator comma
set datafile columnheaders
set border 3
set tics nomirror out
set grid lc rgb '#999999' lw 0.4 dt 3
set key samplen 3 reverse Left
set format '%h'
set xlabel 'weight updates eliminated (%)'
set ylabel 'top-1 (%)'
set key above maxcols 2
set samples 500
set xrange [0:70.0]
set yrange [65.55692830591369:66.53025844794308]
plot \
  'settings.csv' using (strcol('bits') eq 'W2/A2' && strcol('series') eq 'SpQAT' ? column('eliminated') : NaN):(column('top1')):(column('lead_x') - column('eliminated')):(column('lead_y') - column('top1')) with vectors nohead lc rgb '#0072B2' lw 0.5 notitle, \
  '+' using 1:(65.89074227120337):(66.24925772879665) with filledcurves lc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
  66.07000000000001 with lines lc rgb '#0072B2' dt 2 title 'W2/A2 full QAT', \
  'settings.csv' using (strcol('bits') eq 'W2/A2' && strcol('series') eq 'SpQAT' ? column('eliminated') : NaN):(column('top1')):(column('eliminated_error')):(column('top1_error')) with xyerrorbars lc rgb '#0072B2' pt 7 ps 0.9 lw 1.2 notitle, \
  'settings.csv' using (strcol('bits') eq 'W2/A2' && strcol('series') eq 'SpQAT' ? column('eliminated') : NaN):(column('top1')) with points lc rgb '#0072B2' pt 7 ps 1.1 title 'W2/A2 SpQAT', \
  'settings.csv' using (column('label_x') + 0 * (strcol('bits') eq 'W2/A2' && strcol('series') eq 'SpQAT' ? column('eliminated') : NaN)):(column('label_y')):(strcol('label')) with labels center font ',11' tc rgb '#0072B2' notitle
set output
